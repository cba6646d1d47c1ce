/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,,2
1970-01-01 00:01:03,x,4
1970-01-01 00:01:04,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT p.k, p.window, p.v FROM per_key p WHERE p.k NOT IN (SELECT q.k FROM per_key q WHERE q.window = p.window AND q.k <> 'x');
/* expected error
line 10, column 60: NOT IN with a sub-query over windows is not supported; use NOT EXISTS
*/
