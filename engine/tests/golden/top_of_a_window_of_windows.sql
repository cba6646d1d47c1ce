/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:01,y,4
1970-01-01 00:01:02,x,9
1970-01-01 00:02:02,x,9
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW minutes AS SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS total FROM flows GROUP BY 1, 2;
CREATE VIEW pairs AS SELECT k, tumble(INTERVAL '2 minutes') AS w, sum(total) AS total, count(*) AS n FROM minutes GROUP BY 1, 2;
SELECT k, w, total, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY w ORDER BY total DESC) AS rank FROM pairs) WHERE rank = 1;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:02:00} | 10 | 2
x | {start: 1970-01-01T00:02:00, end: 1970-01-01T00:04:00} | 9 | 1
*/
