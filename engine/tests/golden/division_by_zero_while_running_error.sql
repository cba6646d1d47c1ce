/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,0
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, 10 / v AS q FROM flows;
/* expected error
Arrow error: Divide by zero error
*/
