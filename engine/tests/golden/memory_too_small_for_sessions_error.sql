/* input flows
1970-01-01 00:00:01,key number 1,1
1970-01-01 00:00:02,key number 2,2
1970-01-01 00:00:03,key number 3,3
1970-01-01 00:00:04,key number 4,4
1970-01-01 00:00:05,key number 5,5
1970-01-01 00:00:06,key number 6,6
1970-01-01 00:00:07,key number 7,7
1970-01-01 00:00:08,key number 8,8
1970-01-01 00:00:09,key number 9,9
1970-01-01 00:00:10,key number 10,10
1970-01-01 00:00:11,key number 11,11
1970-01-01 00:00:12,key number 12,12
1970-01-01 00:00:13,key number 13,13
1970-01-01 00:00:14,key number 14,14
1970-01-01 00:00:15,key number 15,15
1970-01-01 00:00:16,key number 16,16
1970-01-01 00:00:17,key number 17,17
1970-01-01 00:00:18,key number 18,18
1970-01-01 00:00:19,key number 19,19
1970-01-01 00:00:20,key number 20,20
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SET memory = '2kB';
SELECT session(INTERVAL '1 minute') AS w, array_agg(k) AS ks FROM flows GROUP BY 1;
/* expected error
the pipeline's memory is used up: Additional allocation failed for partial aggregate `w1_1` with top memory consumers (across reservations) as: partial aggregate `w1_1`#…(can spill: false) consumed 960.0 B, peak 984.0 B, window `w1_1`#…(can spill: false) consumed 820.0 B, peak 820.0 B; raise it with SET memory = '4GiB', or use shorter windows
*/
