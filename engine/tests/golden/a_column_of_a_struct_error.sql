/* input flows
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
CREATE TABLE counts (w STRUCT<start TIMESTAMP, "end" TIMESTAMP>, n BIGINT) WITH (connector = 'sink');
INSERT INTO counts SELECT tumble(INTERVAL '1 minute') AS w, count(*) AS n FROM flows GROUP BY 1;
/* expected error
line 4, column 30: a column of type STRUCT<…> cannot be declared; declare a column for each field, and select them: a window w is w.start and w."end"
*/
