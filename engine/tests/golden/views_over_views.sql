/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,9
1970-01-01 00:01:03,z,5
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW doubled AS SELECT ts, upper(k) AS k, v * 2 AS v FROM flows;
CREATE VIEW large AS SELECT * FROM doubled WHERE v > 5;
CREATE VIEW counted AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM large GROUP BY 1, 2;
SELECT * FROM counted WHERE v < 15;
/* expected results
Z | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 10
*/
