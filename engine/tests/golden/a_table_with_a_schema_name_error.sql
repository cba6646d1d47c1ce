CREATE TABLE net.flows (ts TIMESTAMP) WITH (connector = 'test', format = 'csv');
SELECT ts FROM net.flows;
/* expected error
line 1, column 14: name `net.flows` has a schema; Davy's tables live in one flat space
*/
