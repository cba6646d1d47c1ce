/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:41,x,20
@commit
@commit
1970-01-01 00:03:04,y,30
@commit
@commit
1970-01-01 00:04:04,y,40
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2;
SELECT k, v FROM per_key ORDER BY v DESC LIMIT 1;
/* oracle
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT k, v FROM (SELECT *, row_number() OVER (PARTITION BY window ORDER BY v DESC) AS rank FROM (
  SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2)) WHERE rank <= 1;
*/
/* expected results
x | 20
y | 2
y | 30
y | 40
*/
