CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE copy AS SELECT k FROM flows;
/* expected error
line 3, column 19: expected: WITH, found: AS
*/
