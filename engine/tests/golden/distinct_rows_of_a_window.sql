/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,x,1
1970-01-01 00:00:02,y,1
1970-01-01 00:01:03,x,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW tagged AS SELECT k, v, tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM flows GROUP BY 1, 2, 3;
SELECT DISTINCT window, v FROM tagged;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 5
*/
