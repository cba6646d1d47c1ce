/* input flows
1970-01-01 00:00:01,x,101,11
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml' NAMED;
SELECT f(flows.bytes_pp, gap_s) AS a, f(gap_s => gap_s * 2, bytes_pp => 0) AS b FROM flows;
/* expected results
1.0 | 0.625
*/
