CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml';
SELECT f(bytes_pp => bytes_pp, gap => gap_s) AS s FROM flows;
/* expected error
line 4, column 32: unknown parameter name 'gap'. Valid parameters are: [bytes_pp, gap_s]
*/
