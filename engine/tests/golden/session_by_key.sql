/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:09,x,2
1970-01-01 00:00:12,y,3
1970-01-01 00:00:20,x,4
1970-01-01 00:00:31,x,5
1970-01-01 00:00:41,x,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, session(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window;
