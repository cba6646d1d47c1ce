/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:01,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2;
CREATE VIEW overall AS SELECT tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1;
SELECT k, window, per_key.total * 100 / overall.total AS percent FROM per_key JOIN overall USING (window);
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 33
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 100
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 66
*/
