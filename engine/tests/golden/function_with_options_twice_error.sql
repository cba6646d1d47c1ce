CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml' WITH (backend = 'native', backend = 'native');
SELECT f(bytes_pp, gap_s) AS s FROM flows;
/* expected error
line 3, column 74: function `f`: option `backend` is set twice; keep one of them
*/
