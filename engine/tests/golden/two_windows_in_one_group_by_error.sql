CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT count(*) AS n FROM flows
GROUP BY tumble(INTERVAL '1 minute'), tumble(INTERVAL '2 minutes');
/* expected error
line 4, column 39: GROUP BY has two windows; group one windowed view by another window
*/
