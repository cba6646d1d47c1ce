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
WITH (connector = 'test', format = 'csv', max_keys = '4', overflow = 'fail');
SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w;
/* expected results
a | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 9
b | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 2
c | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 36
c | {start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20} | 64
d | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 16
d | {start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20} | 128
d | {start: 1970-01-01T00:00:20, end: 1970-01-01T00:00:30} | 256
*/
