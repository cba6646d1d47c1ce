/* input flows
1970-01-01 00:00:01,x,1
*/
CREATE TABLE Flows (Ts TIMESTAMP, "K" TEXT, V BIGINT, WATERMARK FOR TS)
WITH (connector = 'test', format = 'csv');
SELECT "K", V AS "Value", TUMBLE(INTERVAL '1 minute') AS Win FROM FLOWS GROUP BY 1, 2, WIN;
/* expected results
x | 1 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00}
*/
