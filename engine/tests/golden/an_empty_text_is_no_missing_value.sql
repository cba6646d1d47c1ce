/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,,2
bad> 1970-01-01 00:00:03,y,
*/
/* no oracle: arrow's reader takes an empty text for a null */
CREATE TABLE flows (ts TIMESTAMP, k TEXT NOT NULL, v BIGINT NOT NULL, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, v FROM flows;
/* expected counts
bad records, missing: 1
*/
/* expected results
 | 2
x | 1
*/
