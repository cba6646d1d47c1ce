CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION confidence USING FILE 'card.toml';
/* expected error
line 3, column 34: expected MODEL 'card.toml' or LIBRARY 'lib….so' after USING, found `FILE`
*/
