CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW w AS
SELECT k FROM flowz;
SELECT k FROM w;
/* expected error
line 4, column 15: there is no table or view `flowz`; there are `flows`
*/
