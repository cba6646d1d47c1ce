CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT count(*) AS n FROM flows
GROUP BY coalesce(tumble(INTERVAL '1 minute'), NULL);
/* expected error
line 4, column 19: tumble, hop and session stand only in GROUP BY; write GROUP BY tumble(INTERVAL '1 minute'), and select it AS window
*/
