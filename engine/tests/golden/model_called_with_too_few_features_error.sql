CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml';
SELECT f(bytes_pp) AS s FROM flows;
/* expected error
line 4, column 8: `f` takes 2 arguments (bytes_pp, gap_s), not 1; give the model's features in this order
*/
