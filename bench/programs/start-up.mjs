import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { decorate } from '../libraries/work.mjs';
import { typeWithMethods } from './curves.mjs';

const CLASSES = 100;
const METHODS = 10;

/** Milliseconds from the classes to the running application; the modules are loaded before. */
export async function measureStartUp(variant) {
  const nest = await import('../../dist/esm/index.js');
  const began = performance.now();
  const providers = Array.from({ length: CLASSES }, () => serviceType(variant, nest));
  const imports = variant === 'bare' ? [] : [nest.ResilienceModule.forRoot()];
  class Root {}
  Module({ imports, providers })(Root);
  const app = await NestFactory.createApplicationContext(Root, { logger: false });
  const milliseconds = performance.now() - began;
  const service = app.get(providers[0]);
  if ((await service.m0()) !== 1) throw new Error('the application does not work');
  await app.close();
  return { milliseconds };
}

function serviceType(variant, { CircuitProtected, Retry }) {
  const type = typeWithMethods(METHODS);
  for (let at = 0; at < METHODS && variant === 'protected'; at++) {
    decorate(type, `m${at}`, Retry(), CircuitProtected());
  }
  Injectable()(type);
  return type;
}
