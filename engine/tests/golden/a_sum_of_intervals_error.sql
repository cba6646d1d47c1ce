/* input flows
*/
CREATE TABLE flows (ts TIMESTAMP, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, sum(CASE WHEN v > 0 THEN INTERVAL '1 month' ELSE INTERVAL '1 day' END) AS n FROM flows GROUP BY 1;
/* expected error
line 5, column 1: sum of INTERVAL is not supported, since months have no fixed length; sum differences of timestamps, or numbers
*/
