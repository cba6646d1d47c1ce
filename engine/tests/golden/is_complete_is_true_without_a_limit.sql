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
WITH (connector = 'test', format = 'csv');
SELECT w.start, k, total, w.is_complete FROM (
    SELECT k, session(INTERVAL '5 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected results
1970-01-01T00:00:01 | a | 9 | true
1970-01-01T00:00:02 | b | 2 | true
1970-01-01T00:00:03 | c | 36 | true
1970-01-01T00:00:05 | d | 16 | true
1970-01-01T00:00:12 | c | 64 | true
1970-01-01T00:00:13 | d | 128 | true
1970-01-01T00:00:21 | d | 256 | true
*/
