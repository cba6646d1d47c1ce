CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml' WITH (backend = 'gpu');
SELECT f(bytes_pp, gap_s) AS s FROM flows;
/* expected error
line 3, column 54: function `f`: option `backend` cannot be `gpu`; expected 'auto', 'native', 'onnxruntime'
*/
