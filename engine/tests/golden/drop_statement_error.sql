CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
  DROP TABLE flows;
/* expected error
line 3, column 3: statement `DROP` is not supported; a script has CREATE TABLE, CREATE VIEW, CREATE FUNCTION, INSERT INTO, SELECT and SET
*/
