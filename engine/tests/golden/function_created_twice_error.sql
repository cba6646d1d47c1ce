CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'tiny/card.toml';
CREATE FUNCTION f USING MODEL 'tiny/card.toml'; SELECT 1 FROM flows;
/* expected error
line 4, column 17: there is already a function `f`; give it another name
*/
