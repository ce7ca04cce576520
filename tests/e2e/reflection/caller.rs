//! A client that knows nothing but what a process says about itself, as `grpcurl` does.

use std::collections::BTreeMap;

use http::Uri;
use http::uri::PathAndQuery;
use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _};
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use runtime::client;
use serde_json::Value;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataKey};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

/// The client of one process.
pub struct Caller {
    channel: Channel,
    services: Vec<String>,
    pool: DescriptorPool,
}

impl Caller {
    /// Asks a process what it serves.
    pub async fn connect(uri: &Uri) -> Self {
        let channel = client::channel(uri);
        let mut reflection = ServerReflectionClient::new(channel.clone());
        let listed = ask(&mut reflection, MessageRequest::ListServices(String::new())).await;
        let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
        let services: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
        let mut files = BTreeMap::new();
        for service in &services {
            let symbol = MessageRequest::FileContainingSymbol(service.clone());
            read_files(&mut reflection, symbol, &mut files).await;
        }
        let set = FileDescriptorSet { file: files.into_values().collect() };
        // As bytes, because options that Slipway declares are unknown to the plain types.
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_set(set).unwrap();
        Self { channel, services, pool }
    }

    /// The services that it says it has.
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// Calls `package.Service/Method` with a request written as JSON; returns the answers.
    pub async fn call(
        &self,
        method: &str,
        headers: &[(String, String)],
        data: &str,
    ) -> Result<Vec<Value>, String> {
        let (service, name) = method.split_once('/').ok_or("it names no method")?;
        let service = self.pool.get_service_by_name(service).ok_or("there is no such service")?;
        let method = service.methods().find(|known| known.name() == name);
        let method = method.ok_or("there is no such method")?;
        let mut reader = serde_json::Deserializer::from_str(data);
        let message = DynamicMessage::deserialize(method.input(), &mut reader)
            .map_err(|error| error.to_string())?;
        let mut request = Request::new(message);
        for (name, value) in headers {
            let name: MetadataKey<Ascii> = name.parse().map_err(|_| "a header has no name")?;
            request.metadata_mut().insert(name, value.parse().map_err(|_| "a header is none")?);
        }
        let path = format!("/{}/{name}", service.full_name()).parse::<PathAndQuery>();
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| error.to_string())?;
        let codec = Dynamic(method.clone());
        let path = path.map_err(|error| error.to_string())?;
        if method.is_server_streaming() {
            // A stream has no end: its beginning is an answer.
            grpc.server_streaming(request, path, codec)
                .await
                .map_err(|status| status.to_string())?;
            return Ok(Vec::new());
        }
        let answer = grpc.unary(request, path, codec).await.map_err(|status| status.to_string())?;
        Ok(vec![serde_json::to_value(answer.into_inner()).map_err(|error| error.to_string())?])
    }
}

/// Reads the files that a question finds, and those they need.
async fn read_files(
    reflection: &mut ServerReflectionClient<Channel>,
    question: MessageRequest,
    files: &mut BTreeMap<String, FileDescriptorProto>,
) {
    let mut questions = vec![question];
    while let Some(question) = questions.pop() {
        let answer = ask(reflection, question).await;
        let MessageResponse::FileDescriptorResponse(found) = answer else { panic!("{answer:?}") };
        for bytes in found.file_descriptor_proto {
            let file = FileDescriptorProto::decode(&*bytes).unwrap();
            let needed = file.dependency.iter().filter(|name| !files.contains_key(*name));
            questions.extend(needed.cloned().map(MessageRequest::FileByFilename));
            files.insert(file.name().to_owned(), file);
        }
    }
}

async fn ask(
    reflection: &mut ServerReflectionClient<Channel>,
    question: MessageRequest,
) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let questions = futures_util::stream::iter([request]);
    let mut answers = reflection.server_reflection_info(questions).await.unwrap().into_inner();
    let answer: ServerReflectionResponse = answers.message().await.unwrap().unwrap();
    answer.message_response.unwrap()
}

/// Messages of one method, by descriptor.
#[derive(Debug, Clone)]
struct Dynamic(MethodDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(
        &mut self,
        message: DynamicMessage,
        buffer: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        buffer.put_slice(&message.encode_to_vec());
        Ok(())
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let message = DynamicMessage::decode(self.0.output(), bytes);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
