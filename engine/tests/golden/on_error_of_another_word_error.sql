/* input flows
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT) WITH (connector = 'test', format = 'csv', on_error = 'skip');
SELECT k FROM flows;
/* expected error
line 3, column 85: table `flows`: option `on_error` cannot be `skip`; expected 'fail', 'null' or 'dead_letter'
*/
