/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,1
1970-01-01 00:00:41,x,20
@commit
@commit
1970-01-01 00:01:04,y,30
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT DISTINCT v, window.start AS s FROM per_key;
/* expected results
1 | 1969-12-31T23:59:50
1 | 1970-01-01T00:00:00
20 | 1970-01-01T00:00:30
20 | 1970-01-01T00:00:40
30 | 1970-01-01T00:00:50
30 | 1970-01-01T00:01:00
*/
