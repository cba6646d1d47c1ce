"""A client that has none of our code: it learns services and messages by reflection, and is Python's gRPC otherwise.

client.py ADDRESS SCRIPT OTHER_SCRIPT    OTHER_SCRIPT has other windows than SCRIPT
"""

import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

SERVICES = {"davy.v1.Pipelines", "davy.v1.Cluster", "davy.v1.Workers", "externalscaler.ExternalScaler", "grpc.health.v1.Health"}
DEADLINE = 60


class Service:
    """Calls the methods of a service by their names, with fields as keywords."""

    def __init__(self, channel, pool, name):
        self.channel, self.descriptor = channel, pool.FindServiceByName(name)

    def __getattr__(self, name):
        method = self.descriptor.methods_by_name[name]
        request, response = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        path = f"/{self.descriptor.full_name}/{name}"
        call = make(path, request_serializer=request.SerializeToString, response_deserializer=response.FromString)
        return lambda **fields: call(request(**fields), timeout=DEADLINE)


def state(pipeline):
    """The name of its state."""
    return pipeline.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[pipeline.state].name


def unpack(status, kind):
    """The detail of this kind among those of a status."""
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    raise AssertionError(f"no {kind.DESCRIPTOR.name} among {[packed.type_url for packed in status.details]}")


def refused(code, call, **fields):
    """Makes a call that must be refused, and gives its ErrorInfo and its message."""
    try:
        call(**fields)
    except grpc.RpcError as error:
        assert error.code() == code, f"expected {code}, was answered {error.code()}: {error.details()}"
        status = rpc_status.from_call(error)
        assert status is not None and status.code == code.value[0], f"{code} without details: {error.details()}"
        info = unpack(status, error_details_pb2.ErrorInfo)
        assert info.domain == "davy" and info.reason, info
        message = unpack(status, error_details_pb2.LocalizedMessage).message
        assert message, f"{code} says nothing"
        return info.metadata, message
    raise AssertionError(f"expected {code}, was accepted: {fields}")


def await_state(pipelines, name, wanted):
    """Follows a pipeline until it is there."""
    for event in pipelines.Watch(name=name):
        if event.HasField("pipeline") and state(event.pipeline) == wanted:
            return event.pipeline
    raise AssertionError(f"the call has ended before {name} was {wanted}")


def main(address, script, other_script):
    sql, other = (open(path, encoding="utf-8").read() for path in (script, other_script))
    channel = grpc.insecure_channel(address)
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert SERVICES <= services, f"missing: {SERVICES - services}"
    pool = descriptor_pool.DescriptorPool(database)
    pipelines, cluster = (Service(channel, pool, f"davy.v1.{name}") for name in ("Pipelines", "Cluster"))

    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
    assert health.status == health_pb2.HealthCheckResponse.SERVING, health
    assert cluster.GetLeader().is_this_one
    assert list(pipelines.List().pipelines) == []

    location, message = refused(grpc.StatusCode.INVALID_ARGUMENT, pipelines.Submit, name="wrong", request_id="0",
                     sql=sql.replace("count(*)", "count(nothing)"))
    assert int(location["line"]) and int(location["column"]) and "nothing" in message, (location, message)
    refused(grpc.StatusCode.INVALID_ARGUMENT, pipelines.Submit, name="a b", sql=sql, request_id="0")
    refused(grpc.StatusCode.NOT_FOUND, pipelines.Get, name="none")
    tried = pipelines.Submit(name="py", sql=sql, request_id="1", dry_run=True)
    assert tried.n_tasks == 6, tried
    assert list(pipelines.List().pipelines) == []

    # Not even a lost answer makes two of one.
    submitted = pipelines.Submit(name="py", sql=sql, request_id="1")
    again = pipelines.Submit(name="py", sql=sql, request_id="1")
    assert (again.version, again.incarnation) == (submitted.version, submitted.incarnation), again
    refused(grpc.StatusCode.ALREADY_EXISTS, pipelines.Submit, name="py", sql=sql, request_id="2")
    running = await_state(pipelines, "py", "PIPELINE_STATE_RUNNING")
    assert running.n_tasks_running == running.n_tasks == 6, running
    assert [pipeline.name for pipeline in pipelines.List().pipelines] == ["py"]
    tasks = cluster.ListTasks(pipeline="py").tasks
    assert len({task.id for task in tasks}) == 6 and all(task.worker_name for task in tasks), tasks
    assert cluster.GetScaling().desired_workers >= 1

    refused(grpc.StatusCode.INVALID_ARGUMENT, pipelines.Tail(name="py").__next__)
    rows = [row for answer in pipelines.Tail(name="py", table="passed", limit=5, from_beginning=True) for row in answer.rows]
    assert len(rows) == 5 and all(row.topic == "passed" and row.value.startswith(b"{") for row in rows), rows
    assert len({(row.partition, row.offset) for row in rows}) == 5, rows

    metadata, _ = refused(grpc.StatusCode.FAILED_PRECONDITION, pipelines.Update, name="py", sql=other, request_id="3")
    assert metadata["hint"], "a hint is missing"
    refused(grpc.StatusCode.FAILED_PRECONDITION, pipelines.Update, name="py", sql=sql, request_id="4",
            expected_version=running.version + 1)
    assert pipelines.Get(name="py").version == running.version
    fresh = pipelines.Update(name="py", sql=other, request_id="5", fresh=True)
    assert fresh.incarnation == running.incarnation + 1 and fresh.kafka_name != running.kafka_name, fresh
    await_state(pipelines, "py", "PIPELINE_STATE_RUNNING")

    pipelines.Stop(name="py")
    await_state(pipelines, "py", "PIPELINE_STATE_STOPPED")
    assert list(pipelines.List().pipelines) == []
    assert [state(pipeline) for pipeline in pipelines.List(with_stopped=True).pipelines] == ["PIPELINE_STATE_STOPPED"]
    refused(grpc.StatusCode.FAILED_PRECONDITION, pipelines.Resume, name="py")
    print(f"{len(services)} services, {running.n_tasks} tasks, {len(rows)} rows")


main(*sys.argv[1:])
