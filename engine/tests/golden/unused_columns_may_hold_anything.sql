/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,not a number
yesterday,z,2
1970-01-01 00:00:03
*/
/* no oracle: its reader decodes every column */
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows WHERE k <> 'x';
/* expected counts
bad records, too_short: 1
*/
/* expected results
y
z
*/
