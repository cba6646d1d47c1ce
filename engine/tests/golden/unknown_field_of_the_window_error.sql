CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, window.middle FROM (SELECT k, tumble(INTERVAL '1 minute') AS window FROM flows GROUP BY 1, 2);
/* expected error
line 3, column 1: field middle not found in struct
*/
