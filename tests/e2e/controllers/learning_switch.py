"""A learning switch as an os-ken application for OpenFlow 1.3: unknown destinations are flooded by packet-out, known ones get a flow.

Run as `python learning_switch.py ADDRESS PORT`; it listens there.
"""

import sys

from os_ken import cfg
from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub
from os_ken.lib.packet import ether_types, ethernet, packet
from os_ken.ofproto import ofproto_v1_3


class LearningSwitch(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.ports = {}

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def connected(self, event):
        """A switch is there: what no flow matches comes here, whole."""
        datapath = event.msg.datapath
        ofp, parser = datapath.ofproto, datapath.ofproto_parser
        to_us = parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)
        self.add_flow(datapath, 0, parser.OFPMatch(), [to_us])

    @staticmethod
    def add_flow(datapath, priority, match, actions):
        ofp, parser = datapath.ofproto, datapath.ofproto_parser
        apply = parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions)
        datapath.send_msg(parser.OFPFlowMod(datapath=datapath, priority=priority, match=match, instructions=[apply]))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in(self, event):
        message = event.msg
        datapath = message.datapath
        ofp, parser = datapath.ofproto, datapath.ofproto_parser
        frame = packet.Packet(message.data).get_protocol(ethernet.ethernet)
        if frame.ethertype == ether_types.ETH_TYPE_LLDP:
            return
        in_port = message.match["in_port"]
        known = self.ports.setdefault(datapath.id, {})
        known[frame.src] = in_port
        out_port = known.get(frame.dst, ofp.OFPP_FLOOD)
        actions = [parser.OFPActionOutput(out_port)]
        if out_port != ofp.OFPP_FLOOD:
            match = parser.OFPMatch(in_port=in_port, eth_dst=frame.dst, eth_src=frame.src)
            self.add_flow(datapath, 1, match, actions)
        datapath.send_msg(parser.OFPPacketOut(datapath=datapath, buffer_id=ofp.OFP_NO_BUFFER, in_port=in_port,
                                              actions=actions, data=message.data))


def main():
    address, port = sys.argv[1], int(sys.argv[2])
    cfg.CONF(args=[], project="learning_switch")
    cfg.CONF.set_override("ofp_listen_host", address)
    cfg.CONF.set_override("ofp_tcp_listen_port", port)
    apps = app_manager.AppManager.get_instance()
    apps.load_apps([__name__ if __name__ != "__main__" else "learning_switch", "os_ken.controller.ofp_handler"])
    contexts = apps.create_contexts()
    hub.joinall(apps.instantiate_apps(**contexts))


if __name__ == "__main__":
    main()
