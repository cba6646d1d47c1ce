CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW w AS SELECT k FROM flows;
/* expected error
the script has nothing to run; add INSERT INTO sink SELECT …, or a SELECT
*/
