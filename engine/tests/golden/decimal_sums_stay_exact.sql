/* input prices
1970-01-01 00:00:01,0.10
1970-01-01 00:00:02,0.20
1970-01-01 00:00:03,99999999.97
*/
CREATE TABLE prices (ts TIMESTAMP, raw TEXT, p DECIMAL(12, 2) GENERATED ALWAYS AS (CAST(raw AS DECIMAL(12, 2))), WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(p) AS s, max(p) AS m FROM prices GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 100000000.27 | 99999999.97
*/
