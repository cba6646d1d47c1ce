/* input flows
1970-01-01 00:00:01,x,1
*/
CREATE TABLE flows (ts TIMESTAMP, host TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', csv.columns = 'nfdump');
SELECT host FROM flows;
/* expected error
line 6, column 1: table `flows`: column `host` is none of nfdump's or the detection system's; use `csv.columns = 'header'` where a header names it, or list the names
*/
