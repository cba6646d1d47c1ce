/* input flows
1970-01-01 00:00:01,x,101,11
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml' WITH (backend = 'native');
SELECT f(CAST(bytes_pp AS INT), CAST(gap_s AS FLOAT)) AS a, f(101, 11) AS b, f(gap_s => 11, bytes_pp => 101) AS c,
  f(CAST(101 AS DECIMAL(10, 2)), CAST(11 AS BIGINT)) AS d, f(NULL, 11) AS e, f(1e300, 11) AS f FROM flows;
/* expected results
1.0 | 1.0 | 1.0 | 1.0 | ∅ | ∅
*/
