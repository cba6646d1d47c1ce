CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, count(*) AS n FROM flows
GROUP BY k, hop(INTERVAL '10 seconds', INTERVAL '5 seconds');
/* expected error
line 4, column 13: hop: the slide (10s) is longer than the width (5s), so rows between windows would be lost; the arguments are hop(slide, width)
*/
