CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
DELETE FROM flows;
/* expected error
line 3, column 1: statement `DELETE` is not supported; a script has CREATE TABLE, CREATE VIEW, CREATE FUNCTION, INSERT INTO, SELECT and SET
*/
