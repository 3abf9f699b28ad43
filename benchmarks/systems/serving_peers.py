"""Servers to compare with: the obvious one, and one that runs no model.

    python serving_peers.py naive FOLDER | echo FILE

Prints its port.
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc

SERVICE = "tensorflow.serving.PredictionService"


def naive(folder):
    """As tutorials have it: signatures, make_ndarray, make_tensor_proto, threads."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    loaded = tf.saved_model.load(folder)
    signature = loaded.signatures["serving_default"]

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            inputs = {
                name: tf.constant(tf.make_ndarray(proto))
                for name, proto in request.inputs.items()
            }
            response = predict_pb2.PredictResponse()
            response.model_spec.CopyFrom(request.model_spec)
            for name, value in signature(**inputs).items():
                proto = tf.make_tensor_proto(value.numpy())
                response.outputs[name].CopyFrom(proto)
            return response

    server = grpc.server(ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Servicer(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


async def echo(answer):
    async def predict(data, context):
        return answer

    handler = grpc.unary_unary_rpc_method_handler(predict)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(SERVICE, {"Predict": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1] == "naive":
        naive(sys.argv[2])
    else:
        with open(sys.argv[2], "rb") as file:
            asyncio.run(echo(file.read()))
