CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml';
SELECT f(ts, gap_s) AS s FROM flows;
/* expected error
line 4, column 8: `f`: feature `bytes_pp` is a number (B), not TIMESTAMP; CAST it to DOUBLE, or give another column
*/
