/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
1970-01-01 00:00:03,c,4
1970-01-01 00:00:04,a,8
1970-01-01 00:00:05,d,16
1970-01-01 00:00:06,c,32
1970-01-01 00:00:12,c,64
1970-01-01 00:00:13,d,128
1970-01-01 00:00:21,d,256
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2');
SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
/* expected error
task `0/1/0`: tumble(10s) in `w1_1`: window [1970-01-01T00:00:00, 1970-01-01T00:00:10): more than 2 keys in `w1_1/0`, its share of max_keys = 2 of table `flows`; raise max_keys and run again, or say overflow = 'drop_new', or use shorter windows or fewer keys
*/
