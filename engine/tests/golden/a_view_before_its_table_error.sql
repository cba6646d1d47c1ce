CREATE VIEW w AS SELECT k FROM flows;
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM w;
/* expected error
line 1, column 32: there is no table or view `flows`; there are none
*/
