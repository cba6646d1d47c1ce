/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,x,2
1970-01-01 00:01:01,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT window.start AS s, 1 AS one FROM (SELECT k, tumble(INTERVAL '1 minute') AS window, v FROM flows GROUP BY 1, 2, 3) LIMIT 1;
/* oracle
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT window.start AS s, 1 AS one FROM (SELECT tumble(INTERVAL '1 minute') AS window FROM flows GROUP BY 1);
*/
/* expected results
1970-01-01T00:00:00 | 1
1970-01-01T00:01:00 | 1
*/
