CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE FUNCTION confidence USING MODEL 'card.toml';
/* expected error
line 3, column 8: CREATE FUNCTION is not supported by this build; models and plug-ins are not in it yet
*/
