CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, tumble(INTERVAL '1 minute') AS window FROM flows;
/* expected error
line 3, column 11: tumble, hop and session stand only in GROUP BY; write GROUP BY tumble(INTERVAL '1 minute'), and select it AS window
*/
