CREATE TABLE flows (ts TIMESTAMP, k TEXT, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION f USING MODEL 'none/card.toml';
SELECT 1 FROM flows;
/* expected error
line 3, column 17: function `f`: card `tests/models/none/card.toml` cannot be read: No such file or directory (os error 2); check the path, and that the card is readable
*/
