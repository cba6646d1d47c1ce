CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml';
SELECT f(bytes_pp, k) AS s FROM flows;
/* expected error
line 4, column 8: `f`: feature `gap_s` is a number (s), not TEXT; CAST it to DOUBLE, or give another column
*/
