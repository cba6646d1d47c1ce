/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:02,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k AS host, tumble(INTERVAL '1 minute') AS span, sum(v) AS v FROM flows GROUP BY 1, 2;
CREATE VIEW renamed AS SELECT host AS h, span AS minute, v AS total FROM per_key WHERE v < 4;
SELECT minute, count(*) AS n, max(total) AS most FROM renamed GROUP BY minute;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 2
*/
