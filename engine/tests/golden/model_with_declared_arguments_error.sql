CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f(DOUBLE, DOUBLE) USING MODEL 'tiny/card.toml';
SELECT 1 FROM flows;
/* expected error
line 3, column 18: a model's arguments stand in its card; write CREATE FUNCTION name USING MODEL 'card.toml'
*/
